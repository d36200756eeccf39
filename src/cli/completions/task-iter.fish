# fish completion for task-iter, made by: task-iter completions fish
# Nothing that was typed is evaluated, and no program is run.
#data
# The command, the table and the number of operands before the cursor.
function __task_iter_context
    set -l command -
    set -l table -
    set -l operands 0
    set -l value 0
    set -l tokens (commandline -opc)
    for token in $tokens[2..]
        if test $value = 1
            set value 0
        else if test "$token" = --files
            set table files
        else if string match -q -- '--*=*' "$token"
            continue
        else if string match -q -- '-*' "$token"
            contains -- "$token" @valued@; and set value 1
        else if test $command = - -a $operands = 0; and contains -- "$token" @commands@
            set command $token
        else
            test $operands = 0; and set table $token
            set operands (math $operands + 1)
        end
    end
    if test $command = - ; and not contains -- "$table" @tables@
        set table stacks
    end
    printf '%s\n' $command "$table" $operands
end
function __task_iter_at
    set -l context (__task_iter_context)
    test "$context[1]:$context[3]" = $argv[1]
end
function __task_iter_in
    set -l context (__task_iter_context)
    test "$context[1]" = $argv[1]
end
# What is being typed, without the option before it and the quote left open.
function __task_iter_current
    commandline -ct | string replace -r -- '^--[a-z]+=' '' | string replace -r -- '^["\']' ''
end
function __task_iter_list
    set -l context (__task_iter_context)
    set -l stem (__task_iter_current | string replace -r -- '[^,]*$' '')
    for word in (__task_iter_columns $context[2]) all
        printf '%s\n' "$stem$word"
    end
end
function __task_iter_where
    set -l context (__task_iter_context)
    set -l current (__task_iter_current)
    set -l stem (string replace -r -- '[A-Za-z0-9_.-]*$' '' "$current")
    set -l column (string match -r -- '([a-z0-9_]+)\s*(?:[!=]=|\sin\s*\((?:[^()]*,)?)\s*$' "$stem")
    if test (count $column) -gt 1
        for word in (__task_iter_words $context[2] $column[2])
            printf '%s\n' "$stem$word"
        end
    else if string match -qr -- '(^|[(!&|])\s*$' "$stem"
        for word in (__task_iter_columns $context[2])
            printf '%s\n' "$stem$word"
        end
    end
end
complete -c task-iter -f
#options
