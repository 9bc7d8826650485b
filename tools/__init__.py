"""What people run through the Makefile: the embedded Airflow, the demo, the generated docs."""
