"""Report: tables, figures, the review sample, GO / NO-GO."""
