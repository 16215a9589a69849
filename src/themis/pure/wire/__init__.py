"""The providers' wire formats, purely: requests from inputs, answers from payloads. No socket comes in here."""
