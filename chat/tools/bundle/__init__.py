"""The bundle: one file with Parlour and all its libraries, which runs without internet or installation."""
