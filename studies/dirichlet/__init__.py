"""The dirichlet study."""
