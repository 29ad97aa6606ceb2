"""How a setting is declared, read and named."""
