"""What people look at: a preview, a report, plots, and what notebooks show."""
