"""Work that no request waits for: shipping the ledger, publishing the configuration."""
