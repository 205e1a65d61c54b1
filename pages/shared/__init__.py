"""What two or more screens need: selection and URL, loading, jobs, frame, tokens, maps."""
