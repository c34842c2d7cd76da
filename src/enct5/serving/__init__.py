"""A server for trained models that existing clients speak to: `enct5 serve`."""
