"""The schema: public facts, codes, drafts and what they cost."""
