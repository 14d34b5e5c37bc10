# For scripts of this folder that build an environment beside the one in use.

# Programs and libraries (MPI) where environment $1 lacks what the one in use has.
link_outer() {
    local prefix path there
    prefix=$(python3 -c 'import sys; print(sys.prefix)')
    for path in "$prefix"/bin/* "$prefix"/lib/* "$prefix"/share/*; do
        there=$1/${path#"$prefix"/}
        [ -e "$there" ] || { mkdir -p "${there%/*}" && ln -s "$path" "$there"; }
    done
}
