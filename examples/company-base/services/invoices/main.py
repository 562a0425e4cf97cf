print("invoices is here")
