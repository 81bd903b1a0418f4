"""What SD1.5 and SDXL have in common: `declare` reads UNets and their ControlNets, `nodes` computes them."""
