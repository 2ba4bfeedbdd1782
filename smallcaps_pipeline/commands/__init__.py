"""What the commands do: gather, run the job in the project's instance, print. One file per stage.

Keep out: argument parsing (`cli`), looks (`console`), and any computation of the chain.
"""
