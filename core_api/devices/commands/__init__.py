"""Commands to devices: sent, answered, expired; the alarm for unanswered ones."""
