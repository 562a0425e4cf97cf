console.log("Hello from Node:", require("is-odd")(3));
