"""Where data and code come from: dataset files, hubs, and components' source text."""
