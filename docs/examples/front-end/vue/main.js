import { createApp } from "vue";
import { yabam } from "yabam-events/vue";
import { client } from "../connect.js";
import Board from "./Board.vue";

createApp(Board).use(yabam(client)).mount("#app");
client.start();
