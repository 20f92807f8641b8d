// What the kitchen's panel says.

import { addTexts } from "../../shared/language.js";

addTexts({
  kitchen: ["주방", "Kitchen"],
  guestsAreTold: ["손님에게 알림", "Guests are told"],
  waiting: ["대기 시간", "Waiting time"],
  waitingUnsaid: ["안내 없음", "not said"],
  waitingLess: ["{minutes}분 줄이기", "{minutes} minutes less"],
  waitingMore: ["{minutes}분 늘리기", "{minutes} minutes more"],
  pauseOrders: ["주문 잠시 멈춤", "Pause orders"],
  takeOrders: ["주문 다시 받기", "Take orders again"],
  paused: ["새 주문을 받지 않고 있습니다.", "No new orders are taken."],
  notToldYet: ["연결되면 알립니다", "Will be told once there is a connection"],
  notSaid: ["전하지 못했습니다: {detail}", "Could not be told: {detail}"],
  allDay: ["만들 것 모두", "All to make"],
  nothingToMake: ["만들 것이 없습니다", "Nothing to make"],
  soldOutTitle: ["품절", "Sold out"],
  findDish: ["메뉴 찾기", "Find a dish"],
  soldOutOf: ["{dish} 품절", "{dish} sold out"],
  soldOutNow: ["품절", "Sold out"],
  soldOutNot: ["있음", "There is"],
  volume: ["소리 크기", "Volume"],
  volume_low: ["작게", "Low"],
  volume_middle: ["보통", "Middle"],
  volume_high: ["크게", "High"],
  listen: ["들어 보기", "Listen"],
  sound_new: ["새 주문", "New order"],
  sound_changed: ["바뀐 주문", "Changed order"],
  sound_cancelled: ["취소", "Cancelled"],
  sound_offline: ["오프라인", "Offline"],
  sound_session: ["로그인 끝남", "Sign-in ends"],
});
