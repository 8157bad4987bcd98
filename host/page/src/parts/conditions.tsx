// Conditions of `--where`, each with a way to take it off.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

export function Conditions(props: {
  list: string[];
  set: (list: string[]) => void;
  example: string;
  children?: ComponentChildren;
}) {
  const { list, set } = props;
  const [text, setText] = useState("");
  return (
    <form
      class="tools"
      onSubmit={(event) => {
        event.preventDefault();
        if (text !== "" && !list.includes(text)) set([...list, text]);
        setText("");
      }}
    >
      {props.children}
      {list.map((condition) => (
        <span class="chip mono" key={condition}>
          {condition}
          <button type="button" aria-label={`Take off ${condition}`} onClick={() => set(list.filter((one) => one !== condition))}>
            ×
          </button>
        </span>
      ))}
      <input
        placeholder={props.example}
        aria-label="Condition"
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      <button class="plain">Add the condition</button>
    </form>
  );
}
