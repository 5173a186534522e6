"""The names a user sees. Everything that prints, parses or stores one takes it from here."""

NAME = "Tollway"
COMMAND = "tollway"
HEADER_PREFIX = "x-tollway-"
KEY_PREFIX = "tw"
PERSONAL_PREFIX = "twp"  # of tokens for the admin API; the gateway never accepts one
SESSION_COOKIE = "tollway_session"  # over https behind `__Host-`
LOGIN_COOKIE = "tollway_login"  # a sign-in under way at an identity provider; the same
ENV_PREFIX = "TOLLWAY_"
DATA_DIR = "tollway-data"
DEMO_DIR = ".tollway-demo"
CONFIG_FILE = "tollway.toml"
