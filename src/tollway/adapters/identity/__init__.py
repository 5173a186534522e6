"""Who somebody is: passwords, sign-in at identity providers, JWTs on the gateway. No storage."""
