print("checkout is here")
