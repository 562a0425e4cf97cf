print("accounts is here")
