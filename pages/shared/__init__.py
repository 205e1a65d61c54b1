"""What several screens need: loading, the selection and its URL, the frame, tokens, messages, the
sphere.
"""
