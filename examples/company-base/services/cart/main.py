print("cart is here")
