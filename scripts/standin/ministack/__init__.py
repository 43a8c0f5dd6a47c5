"""MiniStack, with hooks where AWS behaves differently."""
