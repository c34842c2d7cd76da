"""What people read: a run's report, cards, explanations as pages."""
