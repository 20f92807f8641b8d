// The texts of the day's history.

import { addTexts } from "../../shared/language.js";

addTexts({
  history: ["지난 주문", "History"],
  historyFind: ["지난 주문 찾기", "Find a past order"],
  historyEarlier: ["더 이전 주문", "Earlier orders"],
  historyWhole: ["더 이전 기록은 없습니다.", "The log goes back no further."],
  historyLoading: ["불러오는 중…", "Loading…"],
  historyFailed: ["불러오지 못했습니다. 연결되면 다시 눌러 주세요.", "Could not be loaded. Press again once there is a connection."],
  historyNone: ["찾은 주문이 없습니다.", "No order was found."],
  historyCount: ["주문 {count}건", "Orders: {count}"],
});
