import { createRoot } from "react-dom/client";
import { YabamProvider } from "yabam-events/react";
import { client } from "../connect.js";
import { Board } from "./Board.jsx";

createRoot(document.querySelector("#app")).render(
  <YabamProvider client={client}>
    <Board />
  </YabamProvider>,
);
client.start();
