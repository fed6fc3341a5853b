"""The account page: what a person sees and does about their own account in a browser, in Thai and English."""
