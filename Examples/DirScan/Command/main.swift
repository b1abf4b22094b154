print("dirscan")
