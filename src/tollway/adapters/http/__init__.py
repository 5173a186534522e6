"""The upstream client: connections to providers, their credentials, their failures."""
