#compdef task-iter
# zsh completion for task-iter, made by: task-iter completions zsh
# Nothing that was typed is evaluated, and no program is run.
#data

_task_iter_is_command() {
  case $1 in (@commands@) return 0 ;; esac
  return 1
}

_task_iter_match() { column=${match[$1 - 1]}; }

_task_iter_columns_have() {
  local found=1 kept=("${reply[@]}")
  _task_iter_columns "$table"
  (($reply[(Ie)$1])) && found=0
  reply=("${kept[@]}")
  return $found
}

#context

_task_iter() {
  setopt localoptions ksharrays
  local command table option operands current partial kind column
  local -a tokens reply match mbegin mend
  # The words before the cursor without their quotes: (Q) expands nothing.
  tokens=("${(@Q)words[0,CURRENT-2]}" "$PREFIX")
  _task_iter_context
#candidates
  IPREFIX=$IPREFIX${PREFIX%"$partial"}
  PREFIX=$partial
  if [[ $kind == (list|column) ]]; then
    compadd -S '' -- "${reply[@]}"
  else
    compadd -- "${reply[@]}"
  fi
}

if [[ ${funcstack[1]-} == _task-iter ]]; then _task_iter "$@"; else compdef _task_iter task-iter; fi
