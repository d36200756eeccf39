# From tokens[1 ..]: command, table, option (whose value the last one is), operands (how many came before), current.
_task_iter_context() {
  local token i last=$((${#tokens[@]} - 1))
  command='' table='' option='' operands=0
  for ((i = 1; i < last; i++)); do
    token=${tokens[i]}
    if [[ -n $option ]]; then
      option=''
    elif [[ $token == --files ]]; then
      table=files
    elif [[ $token == --*=* ]]; then
      :
    elif [[ $token == -* ]]; then
      _task_iter_value "$command" "$token"
      if ((${#reply[@]})); then option=$token; fi
    elif [[ -z $command && $operands == 0 ]] && _task_iter_is_command "$token"; then
      command=$token
    else
      if ((operands == 0)); then table=$token; fi
      operands=$((operands + 1))
    fi
  done
  current=${tokens[last]}
  if [[ -z $option && $current == --*=* ]]; then
    option=${current%%=*} current=${current#*=}
  fi
  _task_iter_columns "$table"
  if ((${#reply[@]} == 0)) && [[ -z $command ]]; then table=stacks; fi
}

# Of a comparison so far, `partial` is the word that is being typed; reply what it may become.
_task_iter_where() {
  local before column blank='[[:space:]]*' name='([a-z0-9_]+)'
  partial=${1##*[!A-Za-z0-9_.-]}
  before=${1%"$partial"}
  local value="$name$blank(==|!=)$blank\$" among="${name}[[:space:]]+in${blank}[(]([^()]*,)?$blank\$"
  local start="(^|[(!&|])$blank\$" operator="(^|[(!&|[:space:]])${name}[[:space:]]+\$"
  kind=''
  if [[ $before =~ $value || $before =~ $among ]]; then
    _task_iter_match 1
    _task_iter_words "$table" "$column"
  elif [[ $before =~ $start ]]; then
    kind=column
    _task_iter_columns "$table"
  elif [[ $before =~ $operator ]]; then
    _task_iter_match 2
    _task_iter_words "$table" "$column"
    if ((${#reply[@]})); then reply=('==' '!=' in); else reply=('==' '!=' '<' '<=' '>' '>=' '~' '!~' in); fi
    _task_iter_columns_have "$column" || reply=('&&' '||')
  else
    reply=()
  fi
}
