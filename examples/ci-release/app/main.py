print("Hello from the release")
