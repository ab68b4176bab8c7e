"""What counts as good: tier rules compiled to SQL, checks of SQL that people write, and the reports that show both."""
