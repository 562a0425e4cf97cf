import itsdangerous

print("Hello from Python:", itsdangerous.__name__)
