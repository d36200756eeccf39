  partial=$current kind=''
  _task_iter_value "$command" "$option"
  case ${reply[0]-} in
    where) _task_iter_where "$current" ;;
    columns)
      partial=${current##*,}
      _task_iter_columns "$table"
      reply+=(all)
      kind=list
      ;;
    file) @files@ ;;
    ?*) _task_iter_choices "$command" "$option" ;;
    *)
      if [[ $current == -* ]]; then
        _task_iter_options "$command"
      else
        case $command:$operands in
#operands
          *) reply=() ;;
        esac
      fi
      ;;
  esac
