"""Curation: from a company's pairs to a manifest that training reads, with an account of what was dropped and why."""
