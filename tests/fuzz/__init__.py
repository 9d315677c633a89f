"""The gateway under what nobody would send in good faith: made up by hypothesis and schemathesis, and bounded."""
