"""Sources in, clean events and items out; what breaks a contract goes to quarantine with its reason."""
