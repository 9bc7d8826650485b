from recsys_tasks.cli import main

main()
