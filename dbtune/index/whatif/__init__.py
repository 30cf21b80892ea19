"""What would the planner do if these indexes were there: one question, three ways to ask it."""
