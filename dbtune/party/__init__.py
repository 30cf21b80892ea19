"""The service under study: a party register with businesses, respondents and enrolments, and its data access."""
