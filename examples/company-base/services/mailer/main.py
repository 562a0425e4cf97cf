print("mailer is here")
