"""The sealed ledger, for every role: seals and key for all, a proof for its resident, files for operators."""
