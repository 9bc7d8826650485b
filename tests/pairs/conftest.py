from hypothesis import settings

# The first example of a test pays for what is loaded lazily, and a shared machine may be slow: no test fails on time.
settings.register_profile("patient", deadline=None, max_examples=60)
settings.load_profile("patient")
