print("billing is here")
