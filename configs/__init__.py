"""Config files: each has get_config() and says what it is for."""
