# bash completion for task-iter, made by: task-iter completions bash
# Nothing that was typed is evaluated, and no program is run.
#data

_task_iter_is_command() {
  case $1 in @commands@) return 0 ;; esac
  return 1
}

_task_iter_match() { column=${BASH_REMATCH[$1]}; }

_task_iter_columns_have() {
  local found=1 word kept=("${reply[@]}")
  _task_iter_columns "$table"
  for word in "${reply[@]}"; do [[ $word == "$1" ]] && found=0; done
  reply=("${kept[@]}")
  return $found
}

#context

# The line up to the cursor as tokens, quotes taken off; `quote` is the one left open.
_task_iter_split() {
  local line=${COMP_LINE:0:COMP_POINT} i char token='' begun=''
  tokens=() quote=''
  for ((i = 0; i < ${#line}; i++)); do
    char=${line:i:1}
    if [[ -n $quote ]]; then
      if [[ $char == "$quote" ]]; then quote=''; else token+=$char; fi
    elif [[ $char == [\'\"] ]]; then
      quote=$char begun=1
    elif [[ $char == \\ ]]; then
      i=$((i + 1)) token+=${line:i:1} begun=1
    elif [[ $char == [[:space:]] ]]; then
      if [[ -n $begun ]]; then tokens+=("$token"); fi
      token='' begun=''
    else
      token+=$char begun=1
    fi
  done
  tokens+=("$token")
}

_task_iter() {
  local command table option operands current partial kind quote word stem tokens reply
  _task_iter_split
  _task_iter_context
#candidates
  # What readline replaces is $2, which may begin before or after the partial word.
  stem=${2%"$partial"}
  if [[ ${2-} != *"$partial" ]]; then stem=''; fi
  COMPREPLY=()
  for word in "${reply[@]}"; do
    [[ $word == "$partial"* ]] && COMPREPLY+=("$stem$word")
  done
  if [[ $kind == list ]]; then compopt -o nospace; fi
  # A column's name ends nothing: two continuations keep readline from closing the quote behind it.
  if [[ $kind == column && ${#COMPREPLY[@]} == 1 ]]; then
    compopt -o nospace
    if [[ -n $quote ]]; then COMPREPLY=("${COMPREPLY[0]} ==" "${COMPREPLY[0]} !="); fi
  fi
}

complete -F _task_iter task-iter
