"""What two or more pages share: selection and URL, loading, jobs, frame, tokens, maps."""
